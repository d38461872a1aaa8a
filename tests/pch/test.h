// The precompiled header of the unit tests: that of the libraries, and the two test frameworks.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/pch.h"
