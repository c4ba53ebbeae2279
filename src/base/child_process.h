// This program once more, as a child with a time limit: for work that may crash or hang.
#pragma once

#include <string>
#include <vector>

namespace inlay {

struct ChildResult {
  bool started = false;
  bool timed_out = false;      // and was killed
  int signal = 0;              // that ended it; 0: it ended by itself
  int exit_code = -1;          // where it ended by itself
  std::string output, errors;  // what it wrote; the first 64 MiB and the last 4 KiB
  double seconds = 0;
};

// Runs the file of this program with `arguments`, `input` as its standard input, and waits until it
// ends or `limit_seconds` are over. Thread-safe. Never throws for what the child does.
ChildResult run_self(const std::vector<std::string>& arguments, const std::string& input,
                     double limit_seconds);

// For the child: it dies with its parent, where the system can do that.
void die_with_parent();

}  // namespace inlay
