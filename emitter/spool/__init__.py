"""What could not be delivered, kept on disk until it can be: by this process or by a later one."""
