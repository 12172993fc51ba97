// Every kind of question to a server on the loopback: what is right, what is wrong and why, and
// what says nothing about the server.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <functional>
#include <set>
#include <thread>

#include "hooks.hpp"
#include "namespace.hpp"
#include "prober.hpp"
#include "temp_dir.hpp"

using namespace std::string_literals;
using namespace lbctl;
using namespace lbctl::daemon;
using config::CheckType;
using tests::Inside;
using tests::Namespace;

namespace {

constexpr std::uint16_t port = 7000;

Verdict ask(ProbeSpec spec) {
  spec.check.timeout = 1;
  boost::asio::io_context io;
  Verdict out;
  const auto probe = start_probe(io, std::move(spec), {}, [&](const Verdict& verdict) {
    out = verdict;
    io.stop();
    return std::chrono::hours(1);
  });
  io.run();
  return out;
}

model::IpAddress ip(const char* text) {
  return *model::IpAddress::parse(text);
}

/// "right", "right 50%", "wrong: why", "unknown: why".
std::string told(const ProbeSpec& spec) {
  const Verdict verdict = ask(spec);
  if (verdict.answer == Answer::right)
    return verdict.percent ? "right " + std::to_string(*verdict.percent) + "%" : "right";
  return (verdict.answer == Answer::wrong ? "wrong: " : "unknown: ") + verdict.why;
}

std::string told(const config::HealthCheck& check) {
  return told(ProbeSpec{ip("127.0.0.1"), model::Port{port}, {}, check, "web", "rs1"});
}

Fd listen_at(int type, int protocol = 0) {
  Fd fd(::socket(AF_INET, type | SOCK_CLOEXEC, protocol));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  if (type == SOCK_STREAM) REQUIRE(::listen(fd.get(), 8) == 0);
  return fd;
}

using Reply = std::function<std::string(const std::string& question)>;

/// What `told` says of a server that answers one datagram so; an empty answer is none.
std::string told_with_datagrams(const config::HealthCheck& check, const Reply& reply) {
  const Fd fd = listen_at(SOCK_DGRAM);
  std::thread server([&] {
    std::array<char, 2048> buffer{};
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    const ssize_t got = ::recvfrom(fd.get(), buffer.data(), buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&peer), &size);
    const std::string answer = reply({buffer.data(), static_cast<std::size_t>(got)});
    if (!answer.empty())
      ::sendto(fd.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
  });
  std::string out = told(check);
  server.join();
  return out;
}

/// What `told` says of a server that takes one connection, reads if `reads`, answers and closes.
std::string told_with_stream(const config::HealthCheck& check, const std::string& answer,
                             bool reads) {
  const Fd fd = listen_at(SOCK_STREAM);
  std::thread server([&] {
    const Fd connection(::accept(fd.get(), nullptr, nullptr));
    std::array<char, 2048> buffer{};
    if (reads) [[maybe_unused]]
      const auto got = ::read(connection.get(), buffer.data(), buffer.size());
    [[maybe_unused]] const auto sent =
        ::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    ::shutdown(connection.get(), SHUT_WR);
    [[maybe_unused]] const auto end = ::read(connection.get(), buffer.data(), buffer.size());
  });
  std::string out = told(check);
  server.join();
  return out;
}

}  // namespace

TEST_CASE("probes: udp") {
  const Namespace space;
  const Inside inside(space);
  const config::HealthCheck any{.type = CheckType::udp, .datagram = {"ping", {}}};
  const config::HealthCheck pong{.type = CheckType::udp, .datagram = {"ping", "pong"}};
  CHECK(told(any) == "wrong: answer: Connection refused");
  CHECK(told(pong) == "wrong: answer: Connection refused");
  const Reply silent = [](const std::string&) { return ""; };
  CHECK(told_with_datagrams(any, silent) == "right");
  CHECK(told_with_datagrams(pong, silent) == "wrong: no answer in time");
  CHECK(told_with_datagrams(pong, [](const std::string& question) {
          return question == "ping" ? "pong and more" : "what?";
        }) == "right");
  CHECK(told_with_datagrams(pong, [](const std::string&) { return "po"; }) ==
        "wrong: another answer");
}

TEST_CASE("probes: dns and quic") {
  const Namespace space;
  const Inside inside(space);
  const config::HealthCheck dns{.type = CheckType::dns};
  CHECK(told(dns) == "wrong: answer: Connection refused");
  const auto with_flags = [](const char* flags) {
    return
        [flags](const std::string& query) { return query.substr(0, 2) + flags + query.substr(4); };
  };
  CHECK(told_with_datagrams(dns, with_flags("\x81\x80")) == "right");
  CHECK(told_with_datagrams(dns, with_flags("\x81\x82")) == "wrong: SERVFAIL");
  const config::HealthCheck quic{.type = CheckType::quic};
  CHECK(told_with_datagrams(quic, [](const std::string& packet) {
          return "\x80\0\0\0\0\x08"s + packet.substr(15, 8) + "\x08" + packet.substr(6, 8) +
                 "\0\0\0\1"s;
        }) == "right");
  CHECK(told_with_datagrams(quic, [](const std::string& packet) { return packet; }) ==
        "wrong: the answer is no Version Negotiation packet");
}

TEST_CASE("probes: http by method and header") {
  const Namespace space;
  const Inside inside(space);
  const config::HealthCheck check{
      .type = CheckType::http,
      .http = {.method = "HEAD", .header = "x-ready", .pattern = "^y(es)?$"}};
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n";
  CHECK(told(check) == "wrong: connect: Connection refused");
  CHECK(told_with_stream(check, head + "X-Ready: no\r\nX-Ready: yes\r\n\r\n", true) == "right");
  CHECK(told_with_stream(check, head + "X-Ready: yes!\r\n\r\n", true) ==
        "wrong: x-ready does not match");
  CHECK(told_with_stream(check, head + "\r\n", true) == "wrong: the answer has no x-ready");
  CHECK(told_with_stream(check, "HTTP/1.1 500 No\r\n\r\n", true) == "wrong: status 500");
}

TEST_CASE("probes: http by its status line") {
  const Namespace space;
  const Inside inside(space);
  const config::HealthCheck check{.type = CheckType::http};
  CHECK(told(check) == "wrong: connect: Connection refused");
  CHECK(told_with_stream(check, "HTTP/1.0 200\r\n", true) == "right");
  CHECK(told_with_stream(check, "HTTP/1.1 503 no\r\n\r\n", true) == "wrong: status 503");
  CHECK(told_with_stream(check, "SSH-2.0-first\r\n", false) == "wrong: the answer is no HTTP");
  CHECK(told_with_stream(check, "HTTP/1.1 20", true) == "wrong: the answer is no HTTP");
  CHECK(told_with_stream(check, std::string(5000, 'x'), true) == "wrong: the answer is no HTTP");
  CHECK(told_with_stream(check, "", true) == "wrong: answer: end of stream");
  const Fd hung = listen_at(SOCK_STREAM);
  CHECK(told(check) == "wrong: answer: no answer in time");
}

namespace {

/// Answers that many requests, in two pieces each. Whether all had ports of their own, and ended by
/// RST.
bool serve_in_pieces(int listener, std::size_t requests) {
  std::set<in_port_t> ports;
  bool all_reset = true;
  for (std::size_t i = 0; i < requests; ++i) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    const Fd connection(::accept(listener, reinterpret_cast<sockaddr*>(&peer), &size));
    ports.insert(peer.sin_port);
    std::array<char, 2048> buffer{};
    for (const std::string_view piece : {"HTTP/1.1 2", "00 OK\r\nContent-Length: 9\r\n\r\n"}) {
      [[maybe_unused]] const auto got = ::recv(connection.get(), buffer.data(), 64, MSG_DONTWAIT);
      [[maybe_unused]] const auto sent =
          ::send(connection.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const ssize_t got = ::read(connection.get(), buffer.data(), buffer.size());
    all_reset = all_reset && got < 0 && errno == ECONNRESET;
  }
  return all_reset && ports.size() == requests;
}

/// This process's sockets, by what names each as long as it is not closed.
std::set<ino_t> sockets() {
  std::set<ino_t> out;
  struct stat about{};
  for (int fd = 0; fd < 1024; ++fd)
    if (::fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode)) out.insert(about.st_ino);
  return out;
}

}  // namespace

TEST_CASE("probes: a socket that was hung up on asks again") {
  const Namespace space;
  const Inside inside(space);
  const Fd fd = listen_at(SOCK_STREAM);
  constexpr int rounds = 5;
  // A process of its own: its sockets are not among those that are counted here.
  const pid_t server = ::fork();
  if (server == 0) ::_exit(serve_in_pieces(fd.get(), rounds) ? 0 : 1);
  boost::asio::io_context io;
  int answers = 0;
  const std::set<ino_t> before = sockets();
  std::set<ino_t> used;
  const auto probe = start_probe(io,
                                 {*model::IpAddress::parse("127.0.0.1"),
                                  model::Port{port},
                                  {},
                                  {.type = CheckType::http, .timeout = 30},
                                  "web",
                                  "rs1"},
                                 {}, [&](const Verdict& verdict) {
                                   CHECK(verdict.answer == Answer::right);
                                   used.merge(sockets());
                                   if (++answers == rounds) io.stop();
                                   return std::chrono::milliseconds(0);
                                 });
  io.run();
  int status = -1;
  CHECK(::waitpid(server, &status, 0) == server);
  CHECK(status == 0);
  CHECK(used.size() == before.size() + 1);  // one for all
}

TEST_CASE("probes: agent") {
  const Namespace space;
  const Inside inside(space);
  const config::HealthCheck agent{.type = CheckType::agent, .datagram = {"rs1\n", {}}};
  CHECK(told(agent) == "wrong: connect: Connection refused");
  CHECK(told_with_stream(agent, "up 50%\r\n", true) == "right 50%");
  CHECK(told_with_stream(agent, "ready", true) == "right 100%");  // ended by closing
  CHECK(told_with_stream(agent, "75% drain\n", true) == "right 0%");
  CHECK(told_with_stream(agent, "stopped # for \x1bnow\n", true) ==
        "wrong: the agent says \"stopped # for ?now\"");
  CHECK(told_with_stream(agent, "\n", true) == "wrong: the agent says nothing that is known: \"\"");
  CHECK(told_with_stream(agent, std::string(5000, 'x'), true).starts_with("wrong: answer: "));
}

TEST_CASE("probes: exec") {
  const Namespace space;
  const Inside inside(space);
  const auto exec = [](const std::string& script) {
    return config::HealthCheck{.type = CheckType::exec,
                               .command = {{"/bin/sh", "-c", script}, "nobody"}};
  };
  CHECK(told(exec("test \"$LBCTL_SERVICE $LBCTL_SERVER $LBCTL_ADDRESS $LBCTL_PORT\" = "
                  "'web rs1 127.0.0.1 7000' && test \"$(id -un)\" = nobody")) == "right");
  CHECK(told(exec("exit 3")) == "wrong: exit status 3");
  CHECK(told(exec("trap '' TERM; sleep 1000")) == "wrong: killed after 1 s");
  CHECK(told({.type = CheckType::exec, .command = {{"/bin/no-such-thing"}, "nobody"}}) ==
        "unknown: /bin/no-such-thing: No such file or directory (ENOENT)");
  CHECK(told({.type = CheckType::exec, .command = {{"/bin/true"}, "no such user"}}) ==
        "unknown: there is no user \"no such user\"");
}

TEST_CASE("probes: tcp and mptcp") {
  const Namespace space;
  const Inside inside(space);
  CHECK(told({.type = CheckType::tcp}) == "wrong: connect: Connection refused");
  {
    const Fd plain = listen_at(SOCK_STREAM);
    CHECK(told({.type = CheckType::tcp}) == "right");
    CHECK(told({.type = CheckType::mptcp}) == "wrong: the server speaks TCP without MPTCP");
  }
  const Fd mptcp = listen_at(SOCK_STREAM, IPPROTO_MPTCP);
  CHECK(told({.type = CheckType::mptcp}) == "right");
}

namespace {

/// Takes MPTCP connections of both families to any address until it is destroyed; nobody accepts
/// them.
class MptcpServer {
 public:
  MptcpServer() : fd_(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP)) {
    sockaddr_in6 at{};
    at.sin6_family = AF_INET6;
    at.sin6_port = htons(port);
    REQUIRE(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(fd_.get(), 64) == 0);
  }

 private:
  Fd fd_;
};

std::string told_of_join(const char* address, const char* signal, std::uint16_t to = port) {
  return told(ProbeSpec{.address = ip(address),
                        .port = model::Port{port},
                        .check = {.type = CheckType::mptcp},
                        .joins = {{ip(signal), model::Port{to}}}});
}

}  // namespace

TEST_CASE("probes: mptcp with a join to another address") {
  const Namespace space;
  const Inside inside(space);
  tests::run("ip address add 2001:db8::2/128 dev lo");
  CHECK(told_of_join("127.0.0.1", "127.0.0.2") == "wrong: connect: Connection refused");
  const MptcpServer server;
  CHECK(told_of_join("127.0.0.1", "127.0.0.2") ==
        "wrong: it answers without the C flag: joins would go to the VIP");
  tests::run("sysctl -qw net.mptcp.allow_join_initial_addr_port=0");
  CHECK(told_of_join("127.0.0.1", "127.0.0.2") == "right");
  CHECK(told_of_join("::1", "2001:db8::2") == "right");
  CHECK(told_of_join("127.0.0.1", "127.0.0.2", port + 1) ==
        "wrong: the join to 127.0.0.2:7001 was answered by RST");
  // Nobody's address.
  CHECK(told_of_join("127.0.0.1", "192.0.2.1") ==
        "wrong: the join to 192.0.2.1:7000 was not answered in time");
  tests::run("ip mptcp limits set subflows 0");
  CHECK(told_of_join("127.0.0.1", "127.0.0.2")
            .starts_with("wrong: the join to 127.0.0.2:7000 was answered by RST"));
  CHECK(told_of_join("::1", "2001:db8::2")
            .starts_with("wrong: the join to [2001:db8::2]:7000 was answered by RST"));
  CHECK(tests::run("ss -Htn state syn-recv").empty());  // no join is left half made
}

namespace {

/// An HTTP/3 server with id 2 in its connection IDs, until it is destroyed.
class H3Server {
 public:
  explicit H3Server(const std::string& folder) : pid_(::fork()) {
    const std::string log = folder + "/h3.log", key = folder + "/key.pem",
                      cert = folder + "/cert.pem";
    if (pid_ == 0) {
      ::execl(LBCTL_H3_SERVER, "h3_server", "--listen", "127.0.0.1:7000,[::1]:7000", "--name",
              "rs2", "--layout",
              "{ scheme = \"quic-lb\", config = 0, id_length = 2, nonce_length = 6 }", "--id", "2",
              "--key", key.c_str(), "--cert", cert.c_str(), "--log", log.c_str(), nullptr);
      ::_exit(127);
    }
    tests::run("for i in $(seq 100); do grep -c listening " + log +
               " 2>/dev/null | grep -qx 2 && exit 0; sleep 0.1; done; exit 1");
  }
  H3Server(const H3Server&) = delete;
  H3Server& operator=(const H3Server&) = delete;
  ~H3Server() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

}  // namespace

TEST_CASE("probes: a QUIC handshake under a connection ID that names the server") {
  const TempDir temp;
  const Namespace space;
  const Inside inside(space);
  tests::run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout " +
             temp.path + "/key.pem -out " + temp.path +
             "/cert.pem -days 2 -subj /CN=lbctl.test -addext subjectAltName=DNS:lbctl.test 2>&1");
  const config::QuicCid cid{{.config = 0, .id_length = 2, .nonce_length = 6}, ""};
  const auto spec = [&](const char* address, std::uint64_t id) {
    return ProbeSpec{.address = ip(address),
                     .port = model::Port{port},
                     .check = {.type = CheckType::quic,
                               .tls = {.ca_file = temp.path + "/cert.pem", .name = "lbctl.test"},
                               .quic = {.handshake = true}},
                     .slots = {{cid, {.low = id}}}};
  };
  CHECK(told(spec("127.0.0.1", 2)) == "wrong: answer: Connection refused");
  const H3Server server(temp.path);
  CHECK(told(spec("127.0.0.1", 2)) == "right");
  CHECK(told(spec("::1", 2)) == "right");
  CHECK(told(spec("127.0.0.1", 3)).find("names server 2, not 3") != std::string::npos);
  auto other = spec("127.0.0.1", 2);
  other.check.tls.name = "lbctl.example";
  CHECK(told(other).starts_with("wrong: certificate: "));
  other.check.tls = {};  // the system's authorities know nothing of it
  CHECK(told(other).starts_with("wrong: certificate: "));
  other.check.tls.verify = false;
  CHECK(told(other) == "right");
  other.check.quic.alpn = "no such protocol";
  CHECK(told(other).starts_with("wrong: the server closed the connection: "));
  other.slots.front().cid.key_file = temp.path + "/no-such-key";
  CHECK(told(other).starts_with("unknown: "));
  CHECK(tests::run("grep -c 'closed by the client' " + temp.path + "/h3.log") != "0\n");
}

TEST_CASE("hooks: one at a time for each service, and of what happens meanwhile only the last") {
  const TempDir temp;
  const std::string script = "echo $LBCTL_SERVICE $LBCTL_QUORUM >>" + temp.path + "/$LBCTL_SERVICE";
  const config::Command command{{"/bin/sh", "-c", script}, "root"};
  const config::Quorum both{.up_command = command, .down_command = command};
  const config::Quorum none{.up_command = command, .down_command = {}};
  boost::asio::io_context io;
  Teller teller;
  std::string told;
  teller.listen([&](const std::string& line) { told += line; });
  Hooks hooks(io, teller);
  hooks.run("web", false, both);
  io.poll();  // it runs, or has ended
  for (const bool quorum : {true, false, true})
    hooks.run("web", quorum, both);
  hooks.run("dns", true, none);
  hooks.run("dns", false, none);  // nothing to run, and what waits is out of date
  hooks.run("ftp", false, {.down_command = {{"/bin/false"}, "root"}});
  io.restart();
  io.run();
  CHECK(tests::run("cat " + temp.path + "/web") == "web down\nweb up\n");
  CHECK(tests::try_run("test -e " + temp.path + "/dns && echo there").find("there") ==
        std::string::npos);
  CHECK(told.find("service ftp: down_command failed: exit status 1") != std::string::npos);
}
