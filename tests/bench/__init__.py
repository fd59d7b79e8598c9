"""The figures that capctl promises, measured on this machine."""
