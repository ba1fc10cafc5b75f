"""``holdover completion``: the script that lets a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), metavar="|".join(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    eval "$(holdover completion bash)"                          in ~/.bashrc
    eval "$(holdover completion zsh)"                           in ~/.zshrc
    holdover completion fish | source                           in ~/.config/fish/config.fish
    """
    maker = get_completion_class(shell)
    assert maker is not None, shell
    click.echo(maker(ctx.find_root().command, {}, "holdover", "_HOLDOVER_COMPLETE").source())
