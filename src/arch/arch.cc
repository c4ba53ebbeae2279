// Walks the generated list of families.
#include "arch/arch.h"

#include "base/error.h"

namespace inlay::arch {

const Architecture& find(const files::ModelFiles& model) {
  std::string families;
  for (const Architecture* architecture : all()) {
    if (architecture->match(model)) return *architecture;
    families += (families.empty() ? "" : ", ") + std::string(architecture->families);
  }
  const std::string type = model.model_type();
  fail(ErrorCode::kUnsupported, model.config().where() + "model_type",
       "expected one of " + families + ", got " +
           (type.empty() ? "no model_type" : "\"" + printable(type) + "\"") +
           ". This family is not built in yet; docs/add-a-model.md says how to add it.");
}

}  // namespace inlay::arch
