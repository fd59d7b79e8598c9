"""From a file to upright pictures with true times: a watched child process decodes, this process never parses the file."""
