// link_probe.cc: what the nodes of a cluster look like from inside an MPI program.
//
// Rank 0 prints one line per rank, "rank R host NAME cores LIST shm INODE", then, with two ranks or more,
// "bandwidth_mb_per_s X", one way from rank 0 to the last rank, and "latency_us X", half a ping-pong. MB is
// 1e6 bytes.

#include <mpi.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace {

std::string Describe(int rank) {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  cpu_set_t cores;
  CPU_ZERO(&cores);
  sched_getaffinity(0, sizeof cores, &cores);
  std::string list;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &cores)) list += (list.empty() ? "" : ",") + std::to_string(core);
  }
  struct stat shm = {};
  stat("/dev/shm", &shm);
  return "rank " + std::to_string(rank) + " host " + host + " cores " + list + " shm " +
         std::to_string(shm.st_dev);
}

// Sends `count` messages of `bytes` to the last rank and returns the seconds until its answer.
double OneWay(int rank, int last, std::int64_t bytes, int count) {
  std::vector<char> buffer(static_cast<std::size_t>(bytes));
  MPI_Barrier(MPI_COMM_WORLD);
  const double begin = MPI_Wtime();
  for (int i = 0; i < count; ++i) {
    if (rank == 0) MPI_Send(buffer.data(), static_cast<int>(bytes), MPI_CHAR, last, 0, MPI_COMM_WORLD);
    if (rank == last)
      MPI_Recv(buffer.data(), static_cast<int>(bytes), MPI_CHAR, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  }
  char answer = 0;
  if (rank == last) MPI_Send(&answer, 1, MPI_CHAR, 0, 1, MPI_COMM_WORLD);
  if (rank == 0) MPI_Recv(&answer, 1, MPI_CHAR, last, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  return MPI_Wtime() - begin;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  constexpr int kLineBytes = 512;
  char line[kLineBytes] = {};
  std::snprintf(line, sizeof line, "%s", Describe(rank).c_str());
  std::vector<char> lines(static_cast<std::size_t>(ranks) * kLineBytes);
  MPI_Gather(line, kLineBytes, MPI_CHAR, lines.data(), kLineBytes, MPI_CHAR, 0, MPI_COMM_WORLD);
  for (int i = 0; rank == 0 && i < ranks; ++i) std::puts(&lines[static_cast<std::size_t>(i) * kLineBytes]);
  if (ranks > 1) {
    constexpr std::int64_t kMegabyte = 1'000'000;
    OneWay(rank, ranks - 1, kMegabyte, 4);  // opens the connection and lets TCP find its window
    const double seconds = OneWay(rank, ranks - 1, 4 * kMegabyte, 25);
    const double trips = 200;
    double latency = 0;
    for (int i = 0; i < static_cast<int>(trips); ++i) latency += OneWay(rank, ranks - 1, 1, 1) / 2;
    if (rank == 0)
      std::printf("bandwidth_mb_per_s %.1f\nlatency_us %.1f\n", 100 / seconds, latency / trips * 1e6);
  }
  MPI_Finalize();
  return 0;
}
