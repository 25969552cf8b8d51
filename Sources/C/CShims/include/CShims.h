// Calls that Swift cannot make itself: fork and what must run between fork and exec, variadic system calls.
#ifndef BERTH_CSHIMS_H
#define BERTH_CSHIMS_H

#include "guest.h"
#include "holder.h"
#include "launch.h"
#include "sandbox.h"

#endif
