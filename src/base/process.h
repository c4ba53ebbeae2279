// What this process takes from the machine.
#pragma once

#include <cstdint>
#include <string>

namespace inlay {

std::int64_t resident_bytes();       // now; 0 where the system does not say
std::int64_t peak_resident_bytes();  // since the process began
std::int64_t machine_memory_bytes();
std::string cpu_model_name();  // "AMD EPYC ..."; empty where the system does not say

}  // namespace inlay
