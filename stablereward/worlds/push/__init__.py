"""A pusher, a block and a goal on a table: the world of control, rewarded once the block is there."""
