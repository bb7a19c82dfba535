#include "coordinator/notify/public_address.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace fathom::notify {
namespace {

namespace ip = boost::asio::ip;

constexpr const char* kClosedV4[] = {
    "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
};
// Of 2000::/3, which is all that is handed out as global unicast.
constexpr const char* kClosedV6[] = {"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"};

bool within(const ip::address_v4& address, const char* network) {
  const ip::network_v4 all = ip::make_network_v4(network);
  return (address.to_uint() & all.netmask().to_uint()) == all.network().to_uint();
}

bool within(const ip::address_v6& address, const char* network) {
  const ip::network_v6 all = ip::make_network_v6(network);
  const auto bytes = address.to_bytes();
  const auto first = all.network().to_bytes();
  for (unsigned bit = 0; bit < all.prefix_length(); ++bit) {
    const unsigned mask = 0x80U >> (bit % 8);
    if ((bytes[bit / 8] & mask) != (first[bit / 8] & mask)) return false;
  }
  return true;
}

}  // namespace

bool is_public(const std::string& text) {
  boost::system::error_code error;
  const ip::address address = ip::make_address(text, error);
  if (error) return false;
  if (address.is_v4())
    return std::ranges::none_of(kClosedV4, [&](const char* one) { return within(address.to_v4(), one); });
  return within(address.to_v6(), "2000::/3") &&
         std::ranges::none_of(kClosedV6, [&](const char* one) { return within(address.to_v6(), one); });
}

Result<std::vector<std::string>> resolve(const std::string& host, Millis timeout) {
  boost::asio::io_context io;
  ip::tcp::resolver resolver(io);
  std::vector<std::string> found;
  boost::system::error_code failure = boost::asio::error::timed_out;
  resolver.async_resolve(host, "443", [&](boost::system::error_code error, const ip::tcp::resolver::results_type& all) {
    failure = error;
    for (const auto& entry : all) found.push_back(entry.endpoint().address().to_string());
  });
  io.run_for(timeout);
  if (!found.empty()) return found;
  return Error{Errc::unavailable, "finding " + host + " failed: " + failure.message()};
}

Result<std::string> choose_address(const HttpsUrl& url, bool any, Millis timeout) {
  FATHOM_ASSIGN(const std::vector<std::string> all, resolve(url.host, timeout));
  const auto chosen = std::ranges::find_if(all, [&](const std::string& one) { return any || is_public(one); });
  if (chosen != all.end()) return *chosen;
  return Error{
      Errc::permission_denied,
      url.host + " is " + all.front() +
          ", an address of this machine or of a private network; notify.private of coordinator.yaml allows it"};
}

}  // namespace fathom::notify
