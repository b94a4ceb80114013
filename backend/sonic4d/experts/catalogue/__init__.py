"""The models known to Sonic4D, one module for each job; the first of a job that is at hand is what `auto` takes."""
