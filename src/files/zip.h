// The part of the ZIP format that torch.save writes: a central directory of stored (uncompressed)
// entries.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace inlay::files {

// Name -> bytes, as views into `bytes`. Throws kBadInput (damaged, entries outside the file,
// repeated names) or kUnsupported (compressed or encrypted entries, several disks), naming the file
// and offset. ZIP64 is understood.
std::map<std::string, std::string_view, std::less<>> read_stored_zip(std::string_view bytes,
                                                                     std::string_view file);

}  // namespace inlay::files
