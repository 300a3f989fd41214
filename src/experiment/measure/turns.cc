#include "src/experiment/measure/turns.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "src/base/error.h"
#include "src/experiment/measure/orders.h"
#include "src/mpi/agreement.h"

namespace attention {
namespace {

struct Seat {
  TurnMember member;
  std::optional<Place> place;  // none: this rank has no part
  std::unique_ptr<CellMeasurement> measurement;
  CellResult result;
};

class TurnRun {
 public:
  TurnRun(const Communicator& world, const Topology& topology, std::vector<TurnMember> members)
      : world_(world), topology_(topology) {
    for (TurnMember& member : members) seats_.push_back({std::move(member), {}, {}, {}});
    for (Seat& seat : seats_) seat.member.options.bundle = seats_.size() > 1 ? seat.member.cell->bundle : "";
  }

  TurnResult Run(const std::function<void(size_t)>& on_begin) {
    int rounds = 0;
    size_t begun = 0;
    for (; begun < seats_.size() && !result_.stopped; ++begun) {
      on_begin(begun);
      rounds = std::max(rounds, Begin(seats_[begun]));
    }
    for (int round = 0; round < rounds && !result_.stopped; ++round) RunRound(round, rounds);
    // A turn that was stopped is not recorded, so nothing of it is checked once more.
    for (size_t i = 0; i < begun && !result_.stopped; ++i) {
      Seat& seat = seats_[i];
      Step(seat, [&] { seat.result = seat.measurement->Finish(); });
      result_.cells.push_back(std::move(seat.result));
    }
    result_.stopped = AgreedStop();
    return std::move(result_);
  }

 private:
  // A member's part of the work, on its ranks; the others sleep until it is done.
  void Step(Seat& seat, const std::function<void()>& work) {
    std::optional<Error> error;
    // Kept on ranks without a part, too: all ranks of a group return to its place, or none does.
    const bool is_elsewhere = std::exchange(last_, &seat) != &seat;
    try {
      if (seat.place && is_elsewhere) ReturnTo(*seat.place);
      if (seat.place) work();
    } catch (const Error& caught) {
      error = caught;
    }
    world_.SleepingBarrier();
    AgreeOnErrors(world_, [&] {
      if (error) throw *error;
    });
  }

  // Returns the rounds that the member asks for.
  int Begin(Seat& seat) {
    const Cell& cell = *seat.member.cell;
    const Assignment assignment = AssignRanks(topology_, cell.ranks, cell.threads, cell.placement);
    seat.member.options.nodes = assignment.nodes;
    seat.member.options.oversubscribed = assignment.oversubscribed;
    int64_t rounds = 0;
    std::optional<Error> error;
    try {
      seat.place = TakePlace(world_, assignment, cell.threads);
      last_ = &seat;
    } catch (const Error& caught) {
      error = caught;
    }
    AgreeOnErrors(world_, [&] {
      if (error) throw *error;
    });
    result_.pinned.push_back(DescribePins(seat));
    Step(seat, [&] {
      seat.measurement = BeginCell(seat.place->group, cell, seat.member.options);
      // A cell that is measured alone needs no other rank between its rounds.
      rounds = seat.measurement->ChooseRounds();
      if (seats_.size() > 1) return;
      for (int round = 0; round < rounds && !seat.measurement->is_over(); ++round) {
        seat.measurement->RunRound(round, static_cast<int>(rounds));
      }
      rounds = 0;
    });
    if (seats_.size() == 1) return 0;
    result_.stopped = AgreedStop();
    return static_cast<int>(world_.Max(rounds));
  }

  void RunRound(int round, int rounds) {
    const CellOptions& options = seats_.front().member.options;
    for (int index : BalancedOrder(static_cast<int>(seats_.size()), options.order_seed, OrderOf::kRound,
                                   seats_.front().member.cell->bundle, int64_t{options.launch} + round)) {
      Seat& seat = seats_[static_cast<size_t>(index)];
      Step(seat, [&] { seat.measurement->RunRound(round, rounds); });
      // A signal reaches one rank, perhaps one that has no part here. After the last round it changes
      // nothing.
      result_.stopped = AgreedStop() || (round + 1 < rounds && IsAsked());
      if (result_.stopped) return;
    }
  }

  // Whether some member was stopped.
  bool AgreedStop() const {
    bool stopped = result_.stopped;
    for (const Seat& seat : seats_) {
      stopped = stopped || seat.result.stopped || (seat.measurement && seat.measurement->is_stopped());
    }
    return world_.Max(int64_t{stopped}) != 0;
  }

  bool IsAsked() const {
    const auto& stop = seats_.front().member.options.stop;
    return world_.Max(int64_t{stop && stop() != StopRequest::kNone}) != 0;
  }

  static std::string DescribePins(Seat& seat) {
    std::string pinned;
    if (!seat.place) return pinned;
    for (int rank = 0; rank < seat.place->group.size(); ++rank) {
      pinned += (rank == 0 ? "" : " | ") + seat.place->group.Broadcast(seat.place->pinned, rank);
    }
    return pinned;
  }

  const Communicator& world_;
  const Topology& topology_;
  std::vector<Seat> seats_;
  Seat* last_ = nullptr;  // whose place was taken last
  TurnResult result_;
};

}  // namespace

std::vector<std::vector<size_t>> CellTurns(const std::vector<Cell>& cells) {
  std::vector<std::vector<size_t>> turns;
  std::map<std::string, size_t> of_bundle;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string& bundle = cells[i].bundle;
    const auto [found, is_new] = of_bundle.emplace(bundle, turns.size());
    if (bundle.empty() || is_new) {
      turns.push_back({i});
    } else {
      turns[found->second].push_back(i);
    }
  }
  return turns;
}

TurnResult RunTurn(const Communicator& world, const Topology& topology, std::vector<TurnMember> members,
                   const std::function<void(size_t member)>& on_begin) {
  Require(!members.empty(), "a turn has at least one member");
  return TurnRun(world, topology, std::move(members)).Run(on_begin);
}

}  // namespace attention
