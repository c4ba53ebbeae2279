// Linked into every test program: whoever runs it, no test writes into the user's cache of packed
// weights. Tests of that cache name a folder of their own.
#include <cstdlib>

namespace {
[[maybe_unused]] const int kSet = ::setenv("INLAY_PACKED_CACHE", "0", 1);
}  // namespace
