"""An SMSC that runs on an engineer's machine: accounts, receipts, faults, handsets."""
