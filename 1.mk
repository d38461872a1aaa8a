all: 1
/tmp/sg/obj3/41c4237d/1.o: 1
	@ccache g++ -std=c++23 -O1 -g -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -I.  -MMD -MP -c 1 -o /tmp/sg/obj3/41c4237d/1.o
-include /tmp/sg/obj3/41c4237d/1.d
1:  /tmp/sg/obj3/41c4237d/1.o
	@g++  -O1 -g  /tmp/sg/obj3/41c4237d/1.o -o 1 -lrapidcheck -lboost_context -lfmt -luring -lspdlog -lz -lsqlite3 -lpthread
