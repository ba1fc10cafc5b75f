"""The operations on stored objects: rules first, then one transaction.

Every method is one row of the table of operations and returns the encoded answer: documents are stored as they are
sent, so that reading one is a look-up and nothing else. A noun's rules and operations are in the file of its name.
"""

from __future__ import annotations

from .assistants import AssistantOperations
from .core import RetryKey
from .messages import MessageOperations
from .models import ModelOperations
from .threads import ThreadOperations

__all__ = ["Engine", "RetryKey"]


class Engine(AssistantOperations, ThreadOperations, MessageOperations, ModelOperations):
    """Carries out every operation of the table."""
