"""The whole system on one machine: embedded servers and services as supervised processes.

`python -m neuroscan up` runs `launcher`; everybody else uses `Stack` (a launcher for the length
of a `with`) or `find_running` (the stack that someone else keeps up on a folder).
"""

from neuroscan.stack.errors import StackError
from neuroscan.stack.folder import DataFolder, local_key
from neuroscan.stack.running import Stack, find_running
from neuroscan.stack.state import StackState

__all__ = ["DataFolder", "Stack", "StackError", "StackState", "find_running", "local_key"]
