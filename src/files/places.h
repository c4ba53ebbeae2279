// Where things lie on this machine, by the environment: Inlay's own folders and the shared Hugging
// Face cache.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace inlay::files {

// An environment variable; unset and empty read the same.
std::string environment(const char* name);
// A folder from the environment; a leading "~" is the home folder, as huggingface_hub has it.
std::filesystem::path expand_home(const std::string& value);

// $INLAY_HOME, else $XDG_DATA_HOME/inlay, else ~/.local/share/inlay; models lie in models/org/name
// below it.
std::filesystem::path data_home();
// $INLAY_HOME/cache, else $XDG_CACHE_HOME/inlay, else ~/.cache/inlay.
std::filesystem::path cache_home();
// HF_HOME, else $XDG_CACHE_HOME/huggingface, else ~/.cache/huggingface.
std::filesystem::path hugging_face_home();
// HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else hugging_face_home()/hub.
std::filesystem::path hub_cache();

// A part of a hub id or a revision: letters, digits and . _ - only, and no walking upwards.
bool plain_name(std::string_view name);
// Parts separated by slashes ("refs/pr/1").
bool plain_revision(std::string_view revision);
bool is_commit(std::string_view text);  // 40 hexadecimal digits, lower case

}  // namespace inlay::files
