"""What keeps a local stack from running; each message is a sentence for the person at the shell.

StackError
├── FolderInUse        another stack runs on the folder
├── FolderUnusable     the data folder can't hold a stack
├── NoKey              the folder has no key that this user may read
├── PortTaken          the gateway's port is not free
├── HostRefused        not a loopback address
├── ServerFailed       an embedded server, or the migrations, did not come up
└── NotReadyInTime     the services did not all become ready
"""


class StackError(Exception):
    """The root; `str()` says what happened and what to do."""


class FolderInUse(StackError):
    """Another stack runs on the folder."""


class FolderUnusable(StackError):
    """The data folder can't hold a stack."""


class NoKey(StackError):
    """The folder has no key that this user may read."""


class PortTaken(StackError):
    """The gateway's port is not free."""


class HostRefused(StackError):
    """Not a loopback address."""


class ServerFailed(StackError):
    """An embedded server, or the migrations, did not come up."""


class NotReadyInTime(StackError):
    """The services did not all become ready."""
