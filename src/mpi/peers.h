// The one order in which a rank exchanges with all others.
#ifndef SRC_MPI_PEERS_H_
#define SRC_MPI_PEERS_H_

namespace attention {

// Calls use(source, destination) size - 1 times. In each turn every rank receives from one rank and sends to
// one, and no two ranks have the same destination: rank r takes r - 1 and r + 1, then r - 2 and r + 2, and so
// on, modulo size.
template <typename Use>
void ForEachPeer(int rank, int size, Use use) {
  for (int turn = 1; turn < size; ++turn) use((rank - turn + size) % size, (rank + turn) % size);
}

}  // namespace attention

#endif  // SRC_MPI_PEERS_H_
