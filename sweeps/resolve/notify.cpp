#include "sweeps/resolve/notify.hpp"

#include "common/https_url.hpp"
#include "common/reference.hpp"
#include "sweeps/schema/fields.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

// The texts are checked as far as this machine can: who sends the message looks the names up.
void check_hook(const Fields& hook, Report& report) {
  if (hook.has("webhook")) {
    const std::string& text = hook.value("webhook").get_ref<const std::string&>();
    const bool reference = is_reference(text);
    if (reference && !env_name(text)) {
      report.error(hook.mark("webhook"), "notify.webhook: '" + text + "' is no ${env:NAME} with a variable's name");
    } else if (const auto url = parse_https_url(text); !reference && !url) {
      report.error(hook.mark("webhook"), "notify.webhook: " + url.error().message);
    }
  }
  if (hook.has("secret") && !env_name(hook.value("secret").get_ref<const std::string&>())) {
    report.error(hook.mark("secret"),
                 "notify.secret: a secret is named, not written into the file: ${env:NAME} takes it from the "
                 "coordinator's environment");
  }
}

json read_hook(const Node& node, Report& report) {
  const Fields hook(Section::notify, &node, report);
  check_hook(hook, report);
  json out = {{"on", hook.value("on")}, {"webhook", hook.value("webhook")}};
  if (hook.has("secret")) out["secret"] = hook.value("secret");
  return out;
}

void refuse(const Node& node, Report& report) {
  if (node.is_scalar() && is_reference(node.text)) {
    report.error(node.mark, "'" + node.text +
                                "': only notify.webhook and notify.secret take ${env:NAME}; other "
                                "values stand in the file, so that its jobs are the same everywhere");
  }
  for (const Node& item : node.items) refuse(item, report);
}

}  // namespace

json read_notify(const Node& node, Report& report) {
  json hooks = json::array();
  if (!node.is_list()) {
    report.error(node.mark, "notify: expected a list of {on: […], webhook: …}, found " + describe(node));
    return hooks;
  }
  if (node.items.size() > kMaxHooks) {
    report.error(node.mark, "notify: at most " + std::to_string(kMaxHooks) + " webhooks");
    return hooks;
  }
  for (const Node& item : node.items) hooks.push_back(read_hook(item, report));
  return hooks;
}

void refuse_references(const Node& root, Report& report) {
  for (std::size_t i = 0; i < root.keys.size(); ++i) {
    if (root.keys[i].text != "notify") refuse(root.items[i], report);
  }
}

}  // namespace fathom::sweeps
