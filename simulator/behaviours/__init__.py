"""What makes this SMSC behave well or badly: one small object in a file each, joined by ``chain``."""
