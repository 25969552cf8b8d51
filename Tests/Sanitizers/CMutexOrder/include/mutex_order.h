// Nothing to call: linking this in is all (see mutex_order.c and c11_threads.c).
