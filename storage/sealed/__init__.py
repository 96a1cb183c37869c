"""Records that are kept sealed: sealed and opened here, destroyed by destroying their keys through the same choke point as everything else."""
