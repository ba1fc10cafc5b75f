"""Python that a model wrote, in a jail: ``protocol`` says what is asked of one, ``sessions`` keeps one a thread.

What crosses into the jail and out of it is in ``frames``; what runs inside is ``worker.py``, one file that imports
nothing of ours. docs/explanation/sandbox.md tells what is stopped, and by what.
"""
