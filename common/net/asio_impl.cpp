// Asio and Beast are header-only; their non-template code is compiled once, here. Whoever links fathom_net gets the two
// BOOST_*_SEPARATE_COMPILATION definitions, so other sources only declare it.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
