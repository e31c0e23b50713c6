package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // registers gzip, as its documentation asks
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

const (
	pushMethod   = "/vector.Vector/PushEvents"
	healthMethod = "/vector.Vector/HealthCheck"
	// maxMessage is Vector's --max-decompressed-size-bytes, in bytes.
	maxMessage = 100 << 20
)

// wire is a message of the vector service as bytes; codec.go gives it its meaning.
type wire []byte

// wireCodec passes wire messages through and leaves the rest, the health service, to protobuf.
type wireCodec struct{ encoding.CodecV2 }

func newWireCodec() wireCodec { return wireCodec{encoding.GetCodecV2(proto.Name)} }

func (c wireCodec) Marshal(v any) (mem.BufferSlice, error) {
	if w, ok := v.(*wire); ok {
		return mem.BufferSlice{mem.SliceBuffer(*w)}, nil
	}
	return c.CodecV2.Marshal(v)
}

func (c wireCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if w, ok := v.(*wire); ok {
		*w = data.Materialize()
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

// zstdCompressor is the zstd encoding of tonic, which Vector uses.
type zstdCompressor struct{}

func (zstdCompressor) Name() string { return "zstd" }

func (zstdCompressor) Compress(w io.Writer) (io.WriteCloser, error) {
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
}

// Decompress bounds the window; grpc itself stops reading at MaxRecvMsgSize.
func (zstdCompressor) Decompress(r io.Reader) (io.Reader, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxMessage))
	if err != nil {
		return nil, err
	}
	return &closingReader{d: d}, nil
}

// closingReader frees the decoder at the end: grpc has no Close for it.
type closingReader struct {
	d    *zstd.Decoder
	done bool
}

func (r *closingReader) Read(p []byte) (int, error) {
	if r.done {
		return 0, io.EOF
	}
	n, err := r.d.Read(p)
	if err != nil {
		r.done = true
		r.d.Close()
	}
	return n, err
}

// vectorSource serves the vector protocol, version 2.
type vectorSource struct {
	c    *component
	conf *vectorSourceConf
	out  *output
}

func (v *vectorSource) run(ctx context.Context) error {
	lis, err := net.Listen("tcp", v.conf.address)
	if err != nil {
		return fmt.Errorf("source %q: %w", v.c.id, err)
	}
	return v.serve(ctx, lis)
}

// serve ends after ctx, once the requests in flight are answered.
func (v *vectorSource) serve(ctx context.Context, lis net.Listener) error {
	srv := grpc.NewServer(
		grpc.ForceServerCodecV2(newWireCodec()),
		grpc.MaxRecvMsgSize(maxMessage),
		// Vector refuses no ping rate; grpc-go closes connections at more than one in five minutes.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
	)
	srv.RegisterService(v.service(), v)
	hs := health.NewServer()
	hs.SetServingStatus("vector.Vector", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(srv, hs)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		srv.GracefulStop()
	}()
	err := srv.Serve(lis)
	if ctx.Err() != nil {
		<-stopped
		return nil
	}
	return err
}

func (v *vectorSource) service() *grpc.ServiceDesc {
	method := func(name string, fn func(context.Context, wire) (wire, error)) grpc.MethodDesc {
		return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var in wire
			if err := dec(&in); err != nil {
				return nil, err
			}
			v.c.count("grpc_server_messages_received_total", 1)
			out, err := fn(ctx, in)
			v.c.count("grpc_server_messages_sent_total", 1, "grpc_status", codeName(status.Code(err)))
			return &out, err
		}}
	}
	return &grpc.ServiceDesc{ServiceName: "vector.Vector", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{
		method("PushEvents", v.push),
		// The answer is SERVING, always: the default value, so no bytes.
		method("HealthCheck", func(context.Context, wire) (wire, error) { return wire{}, nil }),
	}}
}

// push answers only after the sinks settled the batch, when one of them asks for acknowledgements.
func (v *vectorSource) push(ctx context.Context, in wire) (wire, error) {
	// tonic answers uncompressed; grpc-go would mirror the request's encoding.
	_ = grpc.SetSendCompressor(ctx, encoding.Identity)
	events, err := decodeRequest(in)
	if err != nil {
		v.c.failed("Failed to decode request.", err, "parser_failed", "receiving")
		return nil, status.Errorf(codes.InvalidArgument, "cannot decode the request: %v", err)
	}
	v.c.count("component_received_bytes_total", len(in), "protocol", "grpc")
	v.c.received(events)
	var ack *delivery
	if v.out.acks() {
		ack = newDelivery()
		ack.hold(len(events))
		for i := range events {
			events[i].ack = ack
		}
	}
	if err := v.out.send(ctx, events); err != nil && ack == nil {
		return nil, status.Error(codes.Internal, "delivery error")
	}
	if ack == nil {
		return wire{}, nil
	}
	ack.settle(delivered)
	select {
	case <-ack.done:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	switch outcome(ack.worst.Load()) {
	case delivered:
		return wire{}, nil
	case rejected:
		return nil, status.Error(codes.DataLoss, "delivery rejected")
	}
	return nil, status.Error(codes.Internal, "delivery error")
}

// vectorSender is the vector sink.
type vectorSender struct {
	conf *sinkConf
	conn *grpc.ClientConn
}

func newVectorSender(conf *sinkConf) (*vectorSender, error) {
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newWireCodec()), grpc.MaxCallSendMsgSize(maxMessage)),
		// hyper dials anew for each request; grpc-go's own wait between dials must stay below the sink's.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           grpcbackoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithUserAgent("Vector/" + vectorVersion + " (lab stand-in)"),
		grpc.WithDisableServiceConfig(),
		// A retry below the sink's own would hide failures from it.
		grpc.WithDisableRetry(),
		grpc.WithNoProxy(),
	}
	if conf.compression != "none" {
		opts = append(opts, grpc.WithDefaultCallOptions(grpc.UseCompressor(conf.compression)))
	}
	if conf.keepalive > 0 {
		opts = append(opts, grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: conf.keepalive, Timeout: conf.keepTimeout, PermitWithoutStream: true,
		}))
	}
	// passthrough: the name is looked up at each dial, not cached by a resolver.
	conn, err := grpc.NewClient("passthrough:///"+conf.targets[0], opts...)
	return &vectorSender{conf, conn}, err
}

func (v *vectorSender) endpoint() (string, string) {
	return "http", "http://" + v.conf.targets[0] + "/"
}

func (v *vectorSender) prepare(events []event) ([]byte, error) { return encodeRequest(events), nil }

func (v *vectorSender) push(ctx context.Context, payload []byte) error {
	in, out := wire(payload), wire{}
	err := v.conn.Invoke(ctx, pushMethod, &in, &out)
	if err != nil && !retriesCode(status.Code(err)) {
		return permanentError{err}
	}
	return err
}

func (v *vectorSender) health(ctx context.Context) error {
	in, out := wire{}, wire{}
	if err := v.conn.Invoke(ctx, healthMethod, &in, &out, grpc.UseCompressor(encoding.Identity)); err != nil {
		return err
	}
	serving := true
	err := eachField(out, func(f field) error {
		if f.num == 1 {
			serving = f.bits == 0
		}
		return nil
	})
	if err == nil && !serving {
		err = errors.New("endpoint reports not serving")
	}
	return err
}

// codeName spells a code as Vector's metrics do.
func codeName(c codes.Code) string {
	switch c {
	case codes.OK:
		return "Ok"
	case codes.Canceled:
		return "Cancelled"
	}
	return c.String()
}

// retriesCode is the vector sink's table: these codes say that the same request fails again.
func retriesCode(c codes.Code) bool {
	switch c {
	case codes.NotFound, codes.InvalidArgument, codes.AlreadyExists, codes.PermissionDenied, codes.OutOfRange,
		codes.Unimplemented, codes.Unauthenticated, codes.DataLoss:
		return false
	}
	return true
}
