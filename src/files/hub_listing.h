// What a repository of the Hub holds at one commit, and which of its files a model's folder needs.
// No network and no cache here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace inlay::files {

struct HubFile {
  std::string path;        // "1_Pooling/config.json"; checked: relative, no walking upwards
  std::int64_t size = -1;  // bytes; -1: not told
  // The hash that names the blob: sha256 of a large file's content, or git's sha1 of
  // "blob <size>\0" and the content; lower case, empty when not told.
  std::string etag;
  bool is_sha256() const { return etag.size() == 64; }
};

struct HubListing {
  std::string commit;
  std::vector<HubFile> files;
};

// The answer of api/models/<id>/revision/<revision>?blobs=true. Throws kBadInput naming `where`.
HubListing parse_listing(std::string_view json, const std::string& where);

// A hash as headers and listings write it: W/ and quotes taken off. Empty when it is none.
std::string clean_etag(std::string_view text);

// The files that a model's folder needs, small ones first and weights last: the configuration, the
// tokenizer, sentence-transformers' modules, and the weights in one form (safetensors, else
// PyTorch's, else an ONNX graph).
std::vector<HubFile> needed_files(const HubListing& listing);

}  // namespace inlay::files
