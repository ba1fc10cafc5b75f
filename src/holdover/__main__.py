"""``python -m holdover``: the same as the command ``holdover``."""

from holdover.cli.main import main

if __name__ == "__main__":
    main()
