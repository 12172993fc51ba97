#include "crowd.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <boost/asio/error.hpp>
#include <boost/beast/core/error.hpp>
#include <charconv>
#include <cstring>

#include "asking.hpp"
#include "desk.hpp"

namespace lbctl::daemon {

using Clock = std::chrono::steady_clock;

namespace {

/// A status line is shorter.
constexpr std::size_t longest_line = 4096;

error_code last_error() {
  return {errno, boost::system::system_category()};
}

struct Target {
  sockaddr_storage address{};
  socklen_t size = 0;
};

Target target_of(const ProbeSpec& spec) {
  Target out;
  const auto octets = spec.address.octets();
  if (spec.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(number(spec.port));
    std::memcpy(&v4.sin_addr, octets.data(), octets.size());
    std::memcpy(&out.address, &v4, out.size = sizeof v4);
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(number(spec.port));
    std::memcpy(&v6.sin6_addr, octets.data(), octets.size());
    std::memcpy(&out.address, &v6, out.size = sizeof v6);
  }
  return out;
}

/// 0: it is no status line. RFC 9112, 4: "HTTP/1.1 200 OK".
unsigned status_of(std::string_view line) {
  constexpr std::string_view version = "HTTP/1.";
  unsigned out = 0;
  if (line.size() < 12 || !line.starts_with(version) || line[8] != ' ') return 0;
  const auto [end, error] = std::from_chars(line.data() + 9, line.data() + 12, out);
  return error == std::errc{} && end == line.data() + 12 ? out : 0;
}

/// One question after the other to one server.
class Asker : public Caller, public std::enable_shared_from_this<Asker> {
 public:
  Asker(Desk& desk, const ProbeSpec& spec, Judged judged)
      : desk_(desk),
        judged_(std::move(judged)),
        target_(target_of(spec)),
        timeout_(spec.check.timeout),
        status_(spec.check.http.status) {
    if (spec.check.type == config::CheckType::http) request_ = http_request(spec);
  }
  void begin(std::chrono::milliseconds first) { desk_.wake_at(*this, when_, Clock::now() + first); }
  void end() {
    over_ = true;
    desk_.forget(*this, when_);
    if (fd_ >= 0) let_go(false);
  }

  void wake() override {
    if (fd_ < 0) return ask();
    finish(failed(boost::beast::error::timeout, sent_ ? "answer" : "connect"));
  }
  void ready(std::uint32_t events) override;

 private:
  void ask();
  void send();
  void receive();
  void let_go(bool well) {
    desk_.give_back(target_.address.ss_family, std::exchange(fd_, -1), well);
  }
  void finish(Verdict verdict);

  Desk& desk_;
  Judged judged_;
  Target target_;
  std::chrono::seconds timeout_;
  unsigned status_;
  std::string request_;  ///< empty: that it connects is enough
  std::string line_;     ///< what came of the answer
  Desk::Time when_{}, asked_{};
  int fd_ = -1;
  bool sent_ = false, over_ = false;
};

void Asker::ask() {
  asked_ = Clock::now();
  sent_ = false;
  line_.clear();
  fd_ = desk_.take(target_.address.ss_family, *this);
  if (fd_ < 0) return finish(unknown("this node opens no TCP socket: " + last_error().message()));
  // The last acknowledgement of the handshake waits: it goes with the request, or the RST takes its
  // place. The server's kernel then has a third less to do, and its application is not bothered.
  const int no = 0;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_QUICKACK, &no, sizeof no);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&target_.address), target_.size) != 0 &&
      errno != EINPROGRESS)
    return finish(failed(last_error(), "connect"));
  desk_.wake_at(*this, when_, asked_ + timeout_);
}

void Asker::ready(std::uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0 && !sent_) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    return finish(failed({error, boost::system::system_category()}, "connect"));
  }
  if (sent_) return receive();
  if ((events & EPOLLOUT) == 0) return;
  if (request_.empty()) return finish(right());
  send();
  if (sent_ && (events & EPOLLIN) != 0)
    receive();  // it spoke first; there is no other event for it
}

void Asker::send() {
  if (::send(fd_, request_.data(), request_.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request_.size()))
    return finish(failed(last_error(), "request"));
  sent_ = true;
}

void Asker::receive() {
  std::array<char, longest_line> buffer;
  auto end = std::string::npos;
  ssize_t got = 1;
  // Until there is no more for now: an event tells of what is new only.
  while (got > 0 && end == std::string::npos && line_.size() < longest_line) {
    got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) return finish(failed(last_error(), "answer"));
    line_.append(buffer.data(), static_cast<std::size_t>(got));
    end = line_.find("\r\n");
  }
  const unsigned status = end == std::string::npos ? 0 : status_of({line_.data(), end});
  if (status == status_) return finish(right());
  if (status != 0) return finish(wrong("status " + std::to_string(status)));
  finish(wrong(line_.empty() ? "answer: end of stream" : "the answer is no HTTP"));
}

void Asker::finish(Verdict verdict) {
  const auto self = shared_from_this();  // it may be destroyed by what it tells
  if (fd_ >= 0) let_go(verdict.answer == Answer::right);
  const auto now = Clock::now();
  verdict.took = std::chrono::duration_cast<std::chrono::microseconds>(now - asked_);
  const auto pause = judged_(verdict);
  if (!over_) desk_.wake_at(*this, when_, now + pause);
}

class InCrowd : public Probe {
 public:
  explicit InCrowd(std::shared_ptr<Asker> asker) : asker_(std::move(asker)) {}
  ~InCrowd() override { asker_->end(); }
  InCrowd(const InCrowd&) = delete;
  InCrowd& operator=(const InCrowd&) = delete;

 private:
  std::shared_ptr<Asker> asker_;
};

}  // namespace

bool is_of_the_crowd(const ProbeSpec& spec) {
  if (spec.through) return false;
  const auto& [type, http] = std::tie(spec.check.type, spec.check.http);
  return type == config::CheckType::tcp ||
         (type == config::CheckType::http && http.header.empty() && http.body.empty());
}

std::unique_ptr<Probe> start_in_crowd(asio::io_context& io, ProbeSpec spec,
                                      std::chrono::milliseconds first, Judged judged) {
  auto asker = std::make_shared<Asker>(asio::use_service<Desk>(io), spec, std::move(judged));
  asker->begin(first);
  return std::make_unique<InCrowd>(std::move(asker));
}

}  // namespace lbctl::daemon
