"""What gives it hands: the command line, a client like any other, and the way to start the service.

    main.py         the commands, loaded when called; errors in one sentence
    groups.py       how a noun's commands are held
    exit_codes.py   what a script learns from the exit status
    connection.py   the options of every call, and the client made of them
    values.py       what can be typed for an option: text, JSON, files
    bodies.py       the options that nouns share
    pages.py        lists: a page, or all
    deletion.py     deleting several at once
    talking.py      a conversation: what is said and shown
    remembered.py   what a conversation leaves for the next one
    interrupts.py   what Ctrl-C does
    output.py       tables for people, JSON for programs

Everything else is one file a command or a noun.
"""
