// What the environment says about the Hugging Face Hub, with huggingface_hub's names and defaults
// (its constants.py), but for the stall limit.
#pragma once

#include <filesystem>
#include <string>

namespace inlay::files {

struct HubSettings {
  std::string endpoint;     // HF_ENDPOINT, without a slash at the end
  std::string token;        // HF_TOKEN, else the file HF_TOKEN_PATH; empty: none
  bool offline = false;     // HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE
  bool symlinks = true;     // not HF_HUB_DISABLE_SYMLINKS
  int answer_seconds = 10;  // HF_HUB_ETAG_TIMEOUT: to connect, and to answer a question
  int stall_seconds = 30;   // HF_HUB_DOWNLOAD_TIMEOUT: a transfer without bytes is cut after this
  std::filesystem::path cache;  // hub_cache()

  // Throws kUsage for a variable that cannot be read.
  static HubSettings from_environment();
};

// The two switches, read without anything else. Touches no file.
bool hub_offline();

}  // namespace inlay::files
