// The one TLS stream type of the program, so that its templates are instantiated few times. Heavy: include it only in
// the sources that read or write such a stream; others name it by `namespace fathom::net { class TlsStream; }`.
// Thread: a stream belongs to its strand. Owner: Connection, or the HTTP session or client that uses it.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <string>

namespace fathom::net {

class TlsStream : public boost::beast::ssl_stream<boost::beast::tcp_stream> {
 public:
  using boost::beast::ssl_stream<boost::beast::tcp_stream>::ssl_stream;
};

// HOST:PORT of the other side, "unknown" when it is gone.
inline std::string endpoint_text(const TlsStream& stream) {
  boost::system::error_code error;
  const auto endpoint = boost::beast::get_lowest_layer(stream).socket().remote_endpoint(error);
  if (error) return "unknown";
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

}  // namespace fathom::net
