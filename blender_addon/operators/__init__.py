"""One file per task that an artist starts."""
