"""The whole job on sample data: ``python -m demo``. Nothing here is part of the gateway."""
