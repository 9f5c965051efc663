// What needs a key: scripts of commands on state, timers and tables.
#pragma once

#include "wasmill.hpp"

wasmill::Result script(const wasmill::Event &event);
wasmill::Result swap(const wasmill::Event &event);
