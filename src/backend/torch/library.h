// Finds libtorch_cpu, opens it, holds its functions against a self-test and keeps the reason when
// it cannot be had.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backend/torch/shim.h"

namespace inlay::backend::torch {

inline constexpr const char* kCpuUnit = "cpu";
inline constexpr const char* kCudaUnit = "cuda";
inline constexpr const char* kMpsUnit = "mps";

// An opened library, or why there is none. Never closed.
struct Library {
  bool usable = false;
  Shim shim;
  std::string path, version;       // "2.15.0"
  std::string reason, remedy;      // when not usable; each a sentence without its full stop
  std::vector<std::string> notes;  // every place looked at, with what was found there
};

// Files to try (base/library_places.h): the one that $INLAY_TORCH_LIBRARY names, alone; else beside
// Inlay, the Python package torch, the system's.
std::vector<std::string> library_places(std::vector<std::string>* notes);

// Opens the first of `places` that is a library of a version and behaviour this room can use.
Library open_library(const std::vector<std::string>& places, std::vector<std::string> notes = {});

// Of library_places(), opened by the first caller for whom those are the places. Thread-safe.
const Library& library();

// Opens what a library needs beside it for a device ("cuda": libtorch_cuda) and computes one number
// there. Empty: it works. Thread-safe.
std::string device_refusal(const Library& library, std::string_view unit);

// Calls every kind of argument and result once with a known answer, and once so that it must fail.
// Returns what is wrong; empty: nothing.
std::string self_test(const Shim& shim);

}  // namespace inlay::backend::torch
