"""Records that are kept sealed: destroyed by destroying their keys, through the same choke point as everything else."""
