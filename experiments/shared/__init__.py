"""The common room of the experiments. It names none of them: what differs between them comes as an argument."""
