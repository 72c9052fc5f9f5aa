package interop;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.cloud.stream.annotation.EnableBinding;
import org.springframework.context.ApplicationContext;
import org.springframework.context.ConfigurableApplicationContext;

/** Stands in for an existing rcs validator. Both generations share this folder; each has its own AbstractEvent and PolicyHandler. */
@SpringBootApplication
@EnableBinding(KafkaProcessor.class)
public class ValidatorApplication {

    /** Events publish themselves and find the channel here, as the existing services do. */
    static ApplicationContext context;

    public static void main(String[] args) {
        SpringApplication application = new SpringApplication(ValidatorApplication.class);
        // Set before the first record can arrive, which is before run() returns.
        application.addInitializers((ConfigurableApplicationContext made) -> context = made);
        application.run(args);
    }
}
