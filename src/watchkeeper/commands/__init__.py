"""What the command `watchkeeper` can do, one module a command."""
