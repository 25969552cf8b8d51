#include <poll.h>
#include <postgresql/libpq-fe.h>
// Left out by Glibc's module map.
#include <sys/eventfd.h>
