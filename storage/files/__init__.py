"""Files below a root: exports, caches and camera footage on local disks."""
