// Two threads write one number: what the thread sanitizer must find, and, at the barrier, a synchronization that
// it must know of.
#include <cstdio>

int main(int argc, char**) {
  int shared = 0, other = 0;
#pragma omp parallel num_threads(2)
  {
#pragma omp master
    other = 1;
#pragma omp barrier
    if (argc > 1 || other == 0) shared++;
  }
  std::printf("%d\n", shared);
}
