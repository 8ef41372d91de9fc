"""How a raster is computed: the plan of tiles, the threads, what makes a run go on."""
