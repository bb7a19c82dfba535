#include "trainer/engine/members.hpp"

#include "common/sha256.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/final_tree.hpp"

namespace fathom::trainer {
namespace {

// Sizes may fit where weights are others: such an adapter would run, and say nothing.
void check_base(const Input& input, const std::filesystem::path& tree, const OpenModel& model) {
  if (!std::filesystem::exists(tree / "fathom.json")) return;  // of the library alone: nothing says more than sizes
  const auto trained_on = read_card(tree).result.value("base_sha256", model.sha256);
  if (trained_on == model.sha256) return;
  throw JobError(ErrorClass::config, "the member '" + input.name + "' was trained on other weights (" +
                                         trained_on.substr(0, 12) + ") than those of the base model (" +
                                         model.sha256.substr(0, 12) + ")");
}

}  // namespace

std::string open_members(std::vector<Input>& inputs, const std::filesystem::path& folder, Resources& resources,
                         const OpenModel& model, const std::string& data_sha256) {
  Sha256 all;
  all.update("data " + data_sha256 + "\n");
  bool has_folders = false;
  for (Input& input : inputs) {
    if (input.below_root) {
      const auto found = resources.adapter_folder(input.folder);
      input.folder = found.path.string();
      all.update(input.name + " " + found.sha256 + "\n");
      has_folders = true;
    }
    check_base(input, folder / input.folder, model);  // a whole path stays what it is
  }
  return has_folders ? all.hex() : data_sha256;
}

}  // namespace fathom::trainer
