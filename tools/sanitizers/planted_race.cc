// A loop of one team, with a data race in it if an argument is given and without one if not: what
// tools/check_tsan asks first. Without the OpenMP runtime's help (Archer) ThreadSanitizer sees no barrier and
// calls the second case a race too.
int main(int count, char**) {
  const bool is_planted = count > 1;
  double sum = 0;
  double seen = 0;
#pragma omp parallel num_threads(2)
  for (int round = 0; round < 100; ++round) {
    if (is_planted) {
      sum += round;
    } else {
#pragma omp single
      sum += round;
#pragma omp critical
      seen += sum;
    }
#pragma omp barrier
  }
  return sum < 0 || seen < 0;
}
