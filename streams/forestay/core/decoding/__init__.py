"""From a record's bytes to an event: the contract, and quicker decoders proven equal to it."""
