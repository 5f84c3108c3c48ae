"""What experiments have in common. It knows none of them by name: what differs between them comes as an argument."""
